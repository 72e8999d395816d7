"""Whose a home is, by all that is known of it. Pure (docs/adr/0018).

What the agent wrote down decides; where nothing is written down, or it is about another volume, the volume's own
labels do. A volume without either is from before accounts were told apart: an account that is older than it is
the one that has always had it. A younger one may be somebody else of the same name, and an administrator decides.
"""

from __future__ import annotations

import enum
import math
from typing import Final

from hubagent.layout import LABEL_ACCOUNT, LABEL_USER
from hubagent.pool.owners import Account, Owner
from hubagent.pool.ports import VolumeFacts

SAME_MOMENT_S: Final = 2.0
"""An older hub had a newcomer's home made while it wrote the account down, and Docker tells whole seconds. A home that
is so much older than an account is still that account's."""


class Verdict(enum.Enum):
    NEW = "new"  # there is no such volume
    THEIRS = "theirs"
    ADOPTED = "adopted"  # theirs from now on, as nobody wrote down yet whose it is
    UNKNOWN = "unknown"  # an older hub asks for a home that is not known to be anybody's
    FOREIGN = "foreign"


def verdict(account: Account, owner: Owner | None, volume: VolumeFacts | None) -> Verdict:
    """May this account have that volume? `owner` is what is written down of it."""
    if volume is None:
        return Verdict.NEW
    if owner is not None and is_about(owner, volume) and (owner.account or owner.aside_s):
        same = owner.account == account.id if account.id else owner.user == account.user
        return Verdict.THEIRS if same and not owner.is_nobodys else Verdict.FOREIGN
    label = volume.labels.get(LABEL_ACCOUNT, "")
    if label:
        return Verdict.THEIRS if label == account.id else Verdict.FOREIGN
    if volume.labels.get(LABEL_USER, account.user) != account.user:
        return Verdict.FOREIGN
    if not account.id:
        return Verdict.UNKNOWN
    is_older = math.floor(account.created_s) <= volume.created_s + SAME_MOMENT_S
    return Verdict.ADOPTED if is_older else Verdict.FOREIGN


def is_about(owner: Owner, volume: VolumeFacts) -> bool:
    """Was this written down of that very volume, not of an earlier one of its name?"""
    return owner.label == volume.labels.get(LABEL_ACCOUNT, "")
