"""Package definition of `isl`; tools are configured in pyproject.toml."""

import pathlib
import re

import setuptools

ROOT = pathlib.Path(__file__).parent
VERSION = re.search(
    r'__version__ = "([^"]+)"', (ROOT / "isl" / "__init__.py").read_text()
).group(1)

JAX = ["jax>=0.4.35"]
TORCH = ["torch>=2.6"]
# Plugins for the formats of Zeiss, Nikon and Leica need neither Java nor a
# compiler; others are installed beside them.
BIOIO = ["bioio>=3", "bioio-czi>=3", "bioio-lif>=2", "bioio-nd2>=2"]
# LZW, JPEG and the like inside of TIFF.
CODECS = ["imagecodecs>=2024.6.1"]
OPENVINO = ["openvino>=2025.3"]
CLUSTER = ["distributed>=2024.8"]
TUNE = ["optuna>=4.5"]
EXPORT = ["bioimageio.spec>=0.5.12", "tf2onnx>=1.17"]
TEST = [
    "ome-zarr-models>=1.7",
    "playwright>=1.45",  # With a Chromium of the system, for the report.
    "pytest>=8",
    "pytest-xdist>=3.6",
    "ruff>=0.9",
    "onnxruntime>=1.20",
    *CLUSTER,
    *CODECS,
    *EXPORT,
    *JAX,
    *OPENVINO,
    *TUNE,
]

setuptools.setup(
    name="isl",
    version=VERSION,
    description=(
        "In silico labeling: fluorescent labels, with their uncertainty, "
        "predicted from transmitted-light z-stacks."
    ),
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0 AND CC-BY-4.0",  # Weights in isl/models.
    packages=setuptools.find_packages(include=["isl", "isl.*"]),
    package_data={"isl": ["models/*/*"]},
    python_requires=">=3.11",
    install_requires=[
        "absl-py>=2.1",
        "filelock>=3.16",
        "google-crc32c>=1.5",
        "h5py>=3.11",
        "keras>=3.12",
        "matplotlib>=3.9",
        "numpy>=1.26",
        "pillow>=10.3",
        "scikit-image>=0.24",
        "scipy>=1.13",
        "tensorboard>=2.18",
        "tensorboardX>=2.6.2",
        "tensorflow>=2.18",
        "tifffile>=2024.8.10",
        "tqdm>=4.66",
        "zarr>=3.1.3",
    ],
    extras_require={
        "bioio": BIOIO,
        "cluster": CLUSTER,
        "codecs": CODECS,
        "export": EXPORT,
        "jax": JAX,
        "openvino": OPENVINO,
        "torch": TORCH,
        "tune": TUNE,
        "gpu": ["tensorflow[and-cuda]>=2.18"],
        "test": TEST,
    },
)
