"""Data: images of a source become splits of uint8 arrays, once, named by their content.

A *source* comes by name: its settings read it. Its *listing* has the *items*: which image, of which class, is in which
*split* (train, validation, test); missing splits are *cut* from train. A file is *decoded* to the configured
shape, or it is *bad* and named with its reason. The *key* is the hash of all decoded splits: two machines
hold the same data when their keys are equal. The one rule: no other room reads an image file, and nothing is fetched unless `data.download` says so; environment,
working directory and cache folder are arguments. May import `blueprint`, `evaluation`, and what stands beside `errors`.
"""

from evosearch.data.arrays import Dataset, SearchData, Split, content_key
from evosearch.data.audit import Audit, audit_data, first_look, kept_audit
from evosearch.data.cifar import Cifar10Settings, Cifar100Settings
from evosearch.data.covid_ct import CovidCtSettings
from evosearch.data.digits import DigitsSettings
from evosearch.data.gathering import Gathered, gather_arrays, gather_files, gather_stored
from evosearch.data.headers import Headers
from evosearch.data.hygiene import Contradiction, Duplicate
from evosearch.data.image_folder import ImageFolderSettings
from evosearch.data.inspection import DataReport, SourceImages, inspect_data
from evosearch.data.kermany import KermanySettings
from evosearch.data.loading import load_dataset
from evosearch.data.medmnist import MedMnistSettings
from evosearch.data.settings import CutKeys, FileKeys, ImageKeys, Places, RootKeys, ValidationKeys
from evosearch.data.shortcuts import SplitShift, pixels_on_test, shortcut_on_test
from evosearch.data.source import DataSettings
from evosearch.data.sources import SOURCES
from evosearch.data.stl10 import Stl10Settings
from evosearch.data.stored import Stored
from evosearch.data.twins import Twin
from evosearch.data.union import UnionSettings, sources_in

__all__ = [
    "SOURCES",
    "Audit",
    "Cifar10Settings",
    "Cifar100Settings",
    "Contradiction",
    "CovidCtSettings",
    "CutKeys",
    "DataReport",
    "DataSettings",
    "Dataset",
    "DigitsSettings",
    "Duplicate",
    "FileKeys",
    "Gathered",
    "Headers",
    "ImageFolderSettings",
    "ImageKeys",
    "KermanySettings",
    "MedMnistSettings",
    "Places",
    "RootKeys",
    "SearchData",
    "SourceImages",
    "Split",
    "SplitShift",
    "Stl10Settings",
    "Stored",
    "Twin",
    "UnionSettings",
    "ValidationKeys",
    "audit_data",
    "content_key",
    "first_look",
    "gather_arrays",
    "gather_files",
    "gather_stored",
    "inspect_data",
    "kept_audit",
    "load_dataset",
    "pixels_on_test",
    "shortcut_on_test",
    "sources_in",
]
