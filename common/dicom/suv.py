"""The factor from a PET's rescaled values to SUV by body weight.

Source: QIBA's "SUV Vendor-neutral Pseudo-code", with the private attributes of GE and Philips that it names.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from common.dicom.series import values_of
from common.errors import InputError

if TYPE_CHECKING:
    from pydicom import Dataset

GE = (0x0009, "GEMS_PETD_01", 0x0D)
"""When the scan began, as GE's scanners keep it in series that were processed later."""
PHILIPS_SUV = (0x7053, "Philips PET Private Group", 0x00)
PHILIPS_ACTIVITY = (0x7053, "Philips PET Private Group", 0x09)
UNITS_BY_UCUM = {"Bq/ml": "BQML", "g/ml{SUVbw}": "GML", "g/ml": "GML"}
MIN_DOSE = 1e6
"""Bq: what is below is in MBq, or no dose."""
PAST_MIDNIGHT = timedelta(hours=6)
"""An injection whose date is not known was on the day before where the scan followed within that time."""
MAX_HALF_LIVES = 10
GRAMS = 1000


def suv_factor(headers: Sequence["Dataset"]) -> float:
    """What a series' rescaled values are multiplied by; `InputError` says what is missing or wrong."""
    header = headers[0]
    units = _units(header)
    if units == "GML":
        kind = str(header.get("SUVType") or "BW")
        if kind != "BW":
            raise InputError(f"SUVType is {kind!r}, expected BW (body weight); export the series in BQML")
        return 1.0
    _require_corrections(header)
    if units == "CNTS":
        return _philips(headers)
    if units != "BQML":
        raise InputError(
            f"Units is {units!r}, expected BQML, GML, or CNTS of Philips; export the series in BQML"
        )
    return _per_activity(headers)


def _units(header: "Dataset") -> str:
    if units := header.get("Units"):
        return str(units).upper()
    for mapping in header.get("RealWorldValueMappingSequence") or _shared(
        header, "RealWorldValueMappingSequence"
    ):
        for code in mapping.get("MeasurementUnitsCodeSequence") or ():
            return UNITS_BY_UCUM.get(str(code.get("CodeValue")), str(code.get("CodeValue")))
    raise InputError("neither Units nor a real-world value mapping says what the voxels are; export it again")


def _require_corrections(header: "Dataset") -> None:
    corrected = values_of(header, "CorrectedImage")
    if not corrected:  # an enhanced image has attributes of their own
        names = {"ATTN": "AttenuationCorrected", "DECY": "DecayCorrected"}
        corrected = {part for part, name in names.items() if str(header.get(name, "NO")).upper() == "YES"}
    for part, name in (("ATTN", "attenuation"), ("DECY", "decay")):
        if part not in corrected:
            raise InputError(
                f"the PET is not corrected for {name} (no {part} in CorrectedImage); choose another"
            )


def _philips(headers: Sequence["Dataset"]) -> float:
    """Counts become SUV by a private factor, or Bq/ml by another."""
    if factor := _private(headers[0], PHILIPS_SUV):
        return float(factor)
    if activity := _private(headers[0], PHILIPS_ACTIVITY):
        return float(activity) * _per_activity(headers)
    raise InputError(
        "Units is CNTS and Philips' factors (7053,1000), (7053,1009) are missing; export it in BQML"
    )


def _per_activity(headers: Sequence["Dataset"]) -> float:
    """SUV for one Bq/ml: the weight in grams over the dose left at the moment voxels are corrected to."""
    header = headers[0]
    weight = _positive(header.get("PatientWeight"), "PatientWeight", "kg")
    drug = next(iter(header.get("RadiopharmaceuticalInformationSequence") or ()), None)
    if drug is None:
        raise InputError(
            "RadiopharmaceuticalInformationSequence is missing, which has the dose; export it again"
        )
    dose = _positive(drug.get("RadionuclideTotalDose"), "RadionuclideTotalDose", "Bq")
    if dose < MIN_DOSE:
        raise InputError(f"RadionuclideTotalDose is {dose:g}, expected Bq, {MIN_DOSE:g} or more; correct it")
    half_life = _positive(drug.get("RadionuclideHalfLife"), "RadionuclideHalfLife", "s")
    return weight * GRAMS / (dose * 2 ** -(_decay_time(headers, drug, half_life) / half_life))


def _decay_time(headers: Sequence["Dataset"], drug: "Dataset", half_life: float) -> float:
    """Seconds from the injection to the moment that the voxels' activity is of."""
    kind = str(headers[0].get("DecayCorrection") or "START").upper()
    if kind == "ADMIN":
        return 0.0
    if kind != "START":
        raise InputError(f"DecayCorrection is {kind!r}, expected START or ADMIN; export the series corrected")
    scan = scan_start(headers)
    start = _injection(drug, scan)
    seconds = (scan - start).total_seconds()
    if seconds < 0:
        raise InputError(
            f"the injection ({start}) is after the scan ({scan}); correct the radiopharmaceutical's time"
        )
    if seconds > MAX_HALF_LIVES * half_life:
        raise InputError(
            f"from the injection ({start}) to the scan ({scan}) over {MAX_HALF_LIVES} half-lives passed; "
            "correct the radiopharmaceutical's date and time"
        )
    return seconds


def scan_start(headers: Sequence["Dataset"]) -> datetime:
    """The moment to which a scanner corrects decay: the series' time, where no slice was acquired before it.

    A series' time after that is the time of a later processing: then GE's own attribute says when the scan
    began, and for others the earliest slice does.
    """
    series = _moment(headers[0], "SeriesDate", "SeriesTime")
    acquired = [moment for header in headers if (moment := _acquired(header))]
    first = min(acquired, default=None)
    if series and (first is None or series <= first):
        return series
    if kept := _private(headers[0], GE):
        return _parse(str(kept), "(0009,100D)")
    if first:
        return first
    raise InputError(
        "SeriesTime and AcquisitionTime are missing, so that decay is not known; export it again"
    )


def _acquired(header: "Dataset") -> datetime | None:
    if moment := header.get("AcquisitionDateTime"):
        return _parse(str(moment), "AcquisitionDateTime")
    return _moment(header, "AcquisitionDate", "AcquisitionTime")


def _injection(drug: "Dataset", scan: datetime) -> datetime:
    if moment := drug.get("RadiopharmaceuticalStartDateTime"):
        return _parse(str(moment), "RadiopharmaceuticalStartDateTime")
    time = drug.get("RadiopharmaceuticalStartTime")
    if not time:
        raise InputError(
            "RadiopharmaceuticalStartTime is missing, so that decay is not known; export it again"
        )
    start = _parse(f"{scan:%Y%m%d}{time}", "RadiopharmaceuticalStartTime")
    day = timedelta(days=1)
    return start - day if start > scan and scan - (start - day) <= PAST_MIDNIGHT else start


def _moment(header: "Dataset", day: str, time: str) -> datetime | None:
    if not (header.get(day) and header.get(time)):
        return None
    return _parse(f"{header.get(day)}{header.get(time)}", time)


def _parse(text: str, name: str) -> datetime:
    """A DICOM date and time; a zone is dropped, as all of an instance are in the same."""
    digits, _, rest = text.strip().partition(".")
    fraction = rest.partition("+")[0].partition("-")[0]
    digits = digits.partition("+")[0].partition("-")[0].replace(":", "")
    try:
        whole = datetime.strptime(digits.ljust(14, "0"), "%Y%m%d%H%M%S")
        return whole + timedelta(seconds=float(f"0.{fraction or 0}"))
    except ValueError as error:
        raise InputError(f"{name} is {text!r}, expected a date and time; correct it") from error


def _positive(value: Any, name: str, unit: str) -> float:
    try:
        number = float(value or 0)
    except (TypeError, ValueError):
        number = 0.0
    if not 0 < number < float("inf"):
        raise InputError(f"{name} is {value!r}, expected a number of {unit} above 0; correct it")
    return number


def _private(header: "Dataset", attribute: tuple[int, str, int]) -> Any:
    group, creator, element = attribute
    try:
        return header.private_block(group, creator)[element].value
    except KeyError:
        return None


def _shared(header: "Dataset", name: str) -> Sequence["Dataset"]:
    for groups in header.get("SharedFunctionalGroupsSequence") or ():
        return groups.get(name) or ()
    return ()
