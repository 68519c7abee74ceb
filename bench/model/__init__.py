"""From images to scores: frozen features, training, fine-tuning, prediction, and what is shown of a trained model."""
