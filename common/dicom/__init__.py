"""DICOM series as images in SUV and HU, and masks as DICOM.

pydicom and highdicom are imported where they are used: the algorithms' images are built without them.
"""
