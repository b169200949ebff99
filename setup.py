"""What pyproject.toml cannot say: the compiled module, and that one wheel of it serves every Python from 3.11 on."""

from setuptools import setup

setup(
    cffi_modules=["_native/build.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
