"""Models: from moments to factors to the parameters of one family of latent variables."""
