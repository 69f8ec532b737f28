"""The Excel add-in: `sgdsheet.xlam`, built from text on the person's machine, and installed there.

sources        the texts of the folder addin/: ribbon, VBA modules, AppleScript
generated      what follows from our own tables: drop-downs, settings, examples, worksheet functions
bridge         what the add-in has to know of the installed xlwings
compression, container, project
               a VBA project without Excel
package        the .xlam around it
build          all of it together
places, install
               where Excel looks for it
"""

from __future__ import annotations
