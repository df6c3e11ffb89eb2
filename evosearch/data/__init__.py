"""Data: images of a source become splits of uint8 arrays, once, named by their content.

A *source* (digits, covid_ct, image_folder) lists its *items*: which image, of which class, stands in which
*split* (train, validation, test); missing splits are *cut* from train. A file is *decoded* to the configured
shape, or it is *bad* and named with its reason. The *key* is the hash of all decoded splits: two machines
hold the same data when their keys are equal. The one rule: no other room reads an image file; environment,
working directory and cache folder are arguments. May import `errors`, `blueprint` and `evaluation`.
"""

from evosearch.data.arrays import Dataset, SearchData, Split, content_key
from evosearch.data.hygiene import Contradiction, Duplicate
from evosearch.data.inspection import DataReport, SourceImages, inspect_data
from evosearch.data.loading import load_dataset
from evosearch.data.settings import DataSettings, SourceName

__all__ = [
    "Contradiction",
    "DataReport",
    "DataSettings",
    "Dataset",
    "Duplicate",
    "SearchData",
    "SourceImages",
    "SourceName",
    "Split",
    "content_key",
    "inspect_data",
    "load_dataset",
]
