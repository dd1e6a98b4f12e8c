"""What can go wrong with a model, by what the caller must do.

ClassifierError
├── ModelMissing   install or configure one; meanwhile posts go to people as untriaged
├── ModelRefused   never load it: altered bytes, a pickle, a wrong shape
├── ModelFailed    it broke on this batch; try the texts one by one, then give them to people
└── Unteachable    this engine has no heads; choose another one, or go without teaching
"""

from __future__ import annotations


class ClassifierError(Exception):
    """A model cannot be used; a subclass says what to do about it. Carries no text of a post."""


class ModelMissing(ClassifierError):
    """The files of the model are not where the settings say."""


class ModelRefused(ClassifierError):
    """The files of the model are not what they claim to be, so they are not loaded."""


class ModelFailed(ClassifierError):
    """The model could not judge this batch."""


class Unteachable(ClassifierError):
    """The engine has no heads that corrections could change."""
