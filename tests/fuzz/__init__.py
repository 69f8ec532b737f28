"""Campaigns: random inputs against independent judges. A short run of each is in CI, a long one by hand.

python -m tests.fuzz.formulas    values of random formulas against LibreOffice and IronCalc
python -m tests.fuzz.packages    damaged and hostile workbooks over every command
python -m tests.fuzz.models      gradients of random models against central differences
python -m tests.fuzz.kills       kills, full disks and files that change meanwhile
python -m tests.fuzz.identity    everything but the values stays byte for byte
"""
