"""The extension for LibreOffice Calc: builds and installs it, and is what it starts.

actions, configuration, functions, typelib    what the office gets: buttons, settings, functions
package, install                              the .oxt file, and handing it to the office
registry, answering, reach                    what may be broken there: seen, and mended
office/                                       runs inside the office, under its own Python
bridge, link, calls                           the process that the office starts: trainer and functions
"""
