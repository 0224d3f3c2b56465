"""Architectures: one file per family, with one class and its named constructors."""

from .classic import (
    VGG,
    AlexNet,
    LeNet5,
    alexnet,
    lenet5,
    vgg,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg19,
    vgg19_bn,
)
from .convnet import ConvNet
from .densenet import DenseNet, cifar_densenet, densenet121, densenet161, densenet169, densenet201
from .hourglass import StackedHourglass, stacked_hourglass
from .inception import GoogLeNet, InceptionModule, InceptionResNetBlock, googlenet
from .mlp import MLP
from .preact import PreActResNet, cifar_preact_resnet, cifar_wide_resnet, preact_resnet200
from .residual import ResidualMLP, SmallResNet
from .resnet import (
    ResNet,
    cifar_plain,
    cifar_resnet,
    cifar_resnext,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    resnext101_32x8d,
    wide_resnet50_2,
)
from .search_space import SpaceNet
from .speed import SpeedNet
from .u_net import UNet, unet

__all__ = [
    "AlexNet",
    "ConvNet",
    "DenseNet",
    "GoogLeNet",
    "InceptionModule",
    "InceptionResNetBlock",
    "LeNet5",
    "MLP",
    "PreActResNet",
    "ResNet",
    "ResidualMLP",
    "SmallResNet",
    "SpaceNet",
    "SpeedNet",
    "StackedHourglass",
    "UNet",
    "VGG",
    "alexnet",
    "cifar_densenet",
    "cifar_plain",
    "cifar_preact_resnet",
    "cifar_resnet",
    "cifar_resnext",
    "cifar_wide_resnet",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "googlenet",
    "lenet5",
    "preact_resnet200",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "stacked_hourglass",
    "unet",
    "vgg",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet50_2",
]
