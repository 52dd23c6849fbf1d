"""Somebody who can sign in to the console of the laptop."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from typing import Any

NAME = "engineer"


@dataclass(frozen=True)
class SignIn:
    """A user's name, and a password that is kept nowhere."""

    name: str
    password: str


def first_engineer(cognito: Any, user_pool: str) -> SignIn:
    """The user `engineer` of the emulator's pool, made where there is none, with a new random password.

    The password replaces the one before and is told once, so none needs to be kept in a file. On AWS people are
    invited instead, and choose their own.
    """
    # The pool asks for a letter of each case, a digit and a symbol, which chance may leave out.
    password = f"{secrets.token_urlsafe(18)}-aA1"
    with contextlib.suppress(cognito.exceptions.UsernameExistsException):
        cognito.admin_create_user(UserPoolId=user_pool, Username=NAME, MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=user_pool, Username=NAME, Password=password, Permanent=True)
    cognito.admin_add_user_to_group(UserPoolId=user_pool, Username=NAME, GroupName="engineer")
    return SignIn(NAME, password)
