"""The images that tests need, made on the spot from the distribution's packages: no registry is ever asked."""
