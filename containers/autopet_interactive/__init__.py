"""autoPET-interactive: nnU-Net v2 ResEnc-L with tumour and background clicks."""
