"""Waits for an image that is being uploaded to Grand Challenge, and says whether the platform has taken it.

The platform's API shows algorithms' images, no models, and takes neither: files are uploaded in a browser.
Source: `AlgorithmImageViewSet`, `ImportStatusChoices` in grand-challenge.org; `AlgorithmImagesAPI` in gcapi.
"""

import argparse
import logging
import sys
import time
import warnings
from collections.abc import Iterator

import gcapi
import httpx
from gcapi.check_version import UnsupportedVersionError
from gcapi.exceptions import ObjectNotFound
from gcapi.models import AlgorithmImage

TAKEN = "Completed"
REFUSED = ("Failed", "Cancelled")


def main() -> int:
    """Returns 0 where the platform has taken the image, 1 where it has not, 2 where it cannot be asked."""
    arguments = _arguments()
    address = arguments.platform.rstrip("/")
    logging.getLogger("gcapi").addHandler(logging.NullHandler())  # what it logs is in its errors, too
    warnings.filterwarnings("ignore", "You are using gcapi")  # its version is locked
    try:
        client = gcapi.Client(base_url=f"{address}/api/v1/")
        algorithm = client.algorithms.detail(slug=arguments.slug)
        earlier = {image.pk for image in _images(client, algorithm.pk) if _has_ended(image)}
        print(f"the model: {address}/algorithms/{arguments.slug}/models/create/", flush=True)
        print(f"the image: {address}/algorithms/{arguments.slug}/images/create/", flush=True)
        return _wait(client, algorithm.pk, earlier, arguments)
    except ObjectNotFound:
        return _fail(
            f"{address} shows no algorithm '{arguments.slug}' to this token; take the last part of its "
            "address, and a token of one of its editors"
        )
    except httpx.HTTPStatusError as error:
        status = error.response.status_code
        return _fail(f"{address} answered {status}; {'give a valid token' if status == 401 else 'try again'}")
    except httpx.HTTPError as error:
        return _fail(f"{address} does not answer ({error}); try again")
    except (RuntimeError, UnsupportedVersionError) as error:  # of the token, of gcapi's age
        return _fail(str(error))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("slug", metavar="SLUG", help="last part of the algorithm's address")
    parser.add_argument("--platform", default="https://grand-challenge.org", metavar="URL")
    parser.add_argument("--every", type=float, default=10, metavar="SECONDS", help="between two questions")
    parser.add_argument("--at-most", type=float, default=7200, metavar="SECONDS", help="time to wait")
    return parser.parse_args()


def _wait(client: gcapi.Client, algorithm: str, earlier: set[str], arguments: argparse.Namespace) -> int:
    """Follow the newest image that was not yet there, or not yet decided on, at the start."""
    end = time.monotonic() + arguments.at_most
    told = None
    while time.monotonic() < end:
        new = [image for image in _images(client, algorithm) if image.pk not in earlier]
        image = max(new, key=lambda image: image.created, default=None)
        status = image.import_status if image else "waiting for the upload"
        if status != told:
            print(f"{image.url if image else algorithm}: {status}", flush=True)
            told = status
        if image and _has_ended(image):
            return 0 if status == TAKEN else _fail(f"the platform refused the image; {image.url} says why", 1)
        time.sleep(arguments.every)
    return _fail(f"no image was taken in {arguments.at_most:.0f} s; the last status was: {told}", 1)


def _images(client: gcapi.Client, algorithm: str) -> Iterator[AlgorithmImage]:
    return client.algorithm_images.iterate_all(params={"algorithm": algorithm})


def _has_ended(image: AlgorithmImage) -> bool:
    return image.import_status in (TAKEN, *REFUSED)


def _fail(message: str, code: int = 2) -> int:
    print(f"error: {message}", file=sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
