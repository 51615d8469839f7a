"""A pod's volumes: folders under the pod's own directory, filled and kept up to date."""
