"""From a trained model to artefacts for each device, none of which is offered before it was shown to be as good."""
