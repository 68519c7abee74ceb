"""From predictions to numbers: metrics, protocols, disputed definitions, intervals over test images."""
