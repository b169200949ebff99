"""The compiled part: what pyproject.toml cannot say. One wheel for every Python from 3.11 on (the limited API)."""

from setuptools import setup

setup(
    cffi_modules=["_native/build.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
