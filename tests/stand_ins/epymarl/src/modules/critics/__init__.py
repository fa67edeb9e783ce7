from .centralV import CentralVCritic

REGISTRY = {"cv_critic": CentralVCritic}
