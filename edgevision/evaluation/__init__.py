"""How good a model is, and how sure one may be of that: mAP, escape and overkill with exact intervals, and a report."""
