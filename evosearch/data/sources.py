"""The registration of the sources there are."""

from evosearch.data.cifar import Cifar10Settings, Cifar100Settings
from evosearch.data.covid_ct import CovidCtSettings
from evosearch.data.digits import DigitsSettings
from evosearch.data.image_folder import ImageFolderSettings
from evosearch.data.kermany import KermanySettings
from evosearch.data.medmnist import MedMnistSettings
from evosearch.data.source import DataSettings
from evosearch.data.stl10 import Stl10Settings
from evosearch.data.union import UnionSettings
from evosearch.registry import Registry

__all__ = ["SOURCES", "DataSettings"]

SOURCES = Registry[DataSettings](
    "data",
    "evosearch.sources",
    [
        DigitsSettings,
        CovidCtSettings,
        ImageFolderSettings,
        MedMnistSettings,
        Cifar10Settings,
        Cifar100Settings,
        Stl10Settings,
        KermanySettings,
        UnionSettings,
    ],
    DataSettings,
)
"""Every source there is."""
