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
from .compound import EfficientNet, compound_scaling, efficientnet
from .convnet import ConvNet
from .convnext import ConvNeXt, convnext_base, convnext_small, convnext_tiny
from .densenet import DenseNet, cifar_densenet, densenet121, densenet161, densenet169, densenet201
from .fcn import FCN, DilatedFCN, as_convolution, bilinear_upsampling, fcn_resnet50
from .generations import small_alexnet, small_inception, small_lenet, small_vgg
from .hourglass import StackedHourglass, stacked_hourglass
from .inception import GoogLeNet, InceptionModule, InceptionResNetBlock, googlenet
from .mlp import MLP
from .mobile import MobileNetV1, MobileNetV2, mobilenet_v1, mobilenet_v2
from .modernization import DesignedNet
from .norm_free import NFResNet, cifar_nf_resnet
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
    se_resnet50,
    wide_resnet50_2,
)
from .search_space import SpaceNet
from .shufflenet import ShuffleNetV2, channel_shuffle, shufflenet_v2_x1_0
from .speed import SpeedNet
from .transformer import Transformer, encoder_layer
from .u_net import UNet, unet
from .yolo import YOLO, yolo_v1

__all__ = [
    "AlexNet",
    "ConvNeXt",
    "ConvNet",
    "DenseNet",
    "DesignedNet",
    "DilatedFCN",
    "EfficientNet",
    "FCN",
    "GoogLeNet",
    "InceptionModule",
    "InceptionResNetBlock",
    "LeNet5",
    "MLP",
    "MobileNetV1",
    "MobileNetV2",
    "NFResNet",
    "PreActResNet",
    "ResNet",
    "ResidualMLP",
    "ShuffleNetV2",
    "SmallResNet",
    "SpaceNet",
    "SpeedNet",
    "StackedHourglass",
    "Transformer",
    "UNet",
    "VGG",
    "YOLO",
    "alexnet",
    "as_convolution",
    "bilinear_upsampling",
    "channel_shuffle",
    "cifar_densenet",
    "cifar_nf_resnet",
    "cifar_plain",
    "cifar_preact_resnet",
    "cifar_resnet",
    "cifar_resnext",
    "cifar_wide_resnet",
    "compound_scaling",
    "convnext_base",
    "convnext_small",
    "convnext_tiny",
    "densenet121",
    "densenet161",
    "densenet169",
    "densenet201",
    "efficientnet",
    "encoder_layer",
    "fcn_resnet50",
    "googlenet",
    "lenet5",
    "mobilenet_v1",
    "mobilenet_v2",
    "preact_resnet200",
    "resnet101",
    "resnet152",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnext101_32x8d",
    "resnext50_32x4d",
    "se_resnet50",
    "shufflenet_v2_x1_0",
    "small_alexnet",
    "small_inception",
    "small_lenet",
    "small_vgg",
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
    "yolo_v1",
]
