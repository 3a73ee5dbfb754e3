"""GPU code: a schedule as stages of products and kernels, and the Triton kernel that reads them."""
