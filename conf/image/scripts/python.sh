#!/bin/sh
# JupyterLab in an environment of its own, and the Python packages of pip.txt.
set -eu

here=/opt/hubagent-image

if ! python3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'; then
    echo "$(python3 --version) is too old for JupyterHub, which needs 3.10; set servers.NAME.build.base to a newer release" >&2
    exit 1
fi
# The user's own packages (pip install without a place to write to) are seen too.
python3 -m venv --system-site-packages /opt/jupyter
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_NO_CACHE_DIR=1
export PIP_CERT=/etc/ssl/certs/ca-certificates.crt
/opt/jupyter/bin/pip install --quiet --no-compile \
    --requirement $here/requirements.txt --requirement $here/jupyterhub.txt --requirement $here/pip.txt
# Lab would ask each user whether it may fetch news; a user's own answer counts as before, and so does an administrator's
# overrides.json.
defaults=/opt/jupyter/share/jupyter/lab/settings/overrides.d
mkdir -p $defaults
echo '{"@jupyterlab/apputils-extension:notification": {"fetchNews": "false"}}' >$defaults/hubagent.json
# Missing .pyc files are a big part of slow starts. Some packages carry modules for other versions of Python.
/opt/jupyter/bin/python -m compileall -q -j 0 /opt/jupyter/lib || true
# A terminal's shell reads /etc/profile, which sets PATH to the system's own programs: here pip would be another one.
# shellcheck disable=SC2016 # for that shell
echo 'PATH="$HOME/.local/bin:/opt/jupyter/bin:$PATH"' >/etc/profile.d/hubagent.sh
