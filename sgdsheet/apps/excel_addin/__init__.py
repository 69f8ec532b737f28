"""The Excel add-in: `sgdsheet.xlam`, built from text on the person's machine, and installed there.

texts          the texts of the folder addin/: ribbon, VBA modules, AppleScript
generated      what follows from our own tables: drop-downs, settings, examples, worksheet functions
xlwings_bridge what the add-in has to know of the installed xlwings
compression, container, project
               a VBA project without Excel
xlam           the .xlam around it
build          all of it together
excel_folders, addin_install
               where Excel looks for it
ribbon         what a click does
checklist, probes, excel_desk, verification
               what only Excel can show, and the command that goes through it there
"""

from __future__ import annotations
