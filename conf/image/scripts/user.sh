#!/bin/sh
# The user jovyan with number 1000, under whatever name that number is known in the base.
set -eu

owner=$(getent passwd 1000 | cut -d: -f1)
if [ -z "$owner" ]; then
    group=$(getent group 1000 | cut -d: -f1)
    if [ -z "$group" ]; then
        groupadd --gid 1000 jovyan
    fi
    useradd --uid 1000 --gid 1000 --create-home --home-dir /home/jovyan --shell /bin/bash jovyan
elif [ "$owner" != jovyan ]; then
    usermod --login jovyan --home /home/jovyan --move-home --shell /bin/bash "$owner"
fi
group=$(id -g jovyan)
install -d -o 1000 -g "$group" /home/jovyan /home/jovyan/work /opt/julia /opt/hubagent-image/precompile
