#!/bin/bash
# The way into the program for systems that start a script. It is bash, because other
# shells drop variables with a hyphen in their names, and GitHub's inputs have one;
# and it becomes the program, so that signals reach that.
exec convox-ci "$@"
