# The PDP and its command line. Build: docker build -t mcp-pdp .   (classic builder or BuildKit)
# Every Python package comes from requirements-server.lock (`make lock`) and is checked against its hashes.

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN python -m venv /opt/pdp
WORKDIR /src
# The packages first: this layer is kept until the lock changes.
COPY requirements-server.lock ./
RUN /opt/pdp/bin/pip install --require-hashes --only-binary :all: --requirement requirements-server.lock
COPY pyproject.toml README.md LICENSE ./
COPY pdp pdp
COPY rego rego
# What built the project is not needed to run it, and cannot be misused when it is not there.
RUN /opt/pdp/bin/pip install --no-deps --no-build-isolation --no-index . \
    && /opt/pdp/bin/pip uninstall --quiet --yes setuptools pip

FROM python:3.11-slim
# A fixed number, so that volumes and the OPA beside it can be given to the same user.
RUN groupadd --gid 10001 pdp \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin pdp \
    && install --directory --owner=10001 --group=10001 --mode=0700 \
        /var/lib/pdp /run/pdp /run/pdp/policy /run/pdp/opa /run/pdp/issuer /run/pdp/key
# Checks and builds the policy pack; decisions are asked of the OPA that PDP_OPA_URL names, or of a child of this one.
COPY --from=openpolicyagent/opa:1.22.2-static /opa /usr/local/bin/opa
COPY --from=build /opt/pdp /opt/pdp
ENV PATH=/opt/pdp/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 \
    PDP_DATA_DIR=/var/lib/pdp PDP_OPA_BINARY=/usr/local/bin/opa
USER 10001:10001
WORKDIR /var/lib/pdp
VOLUME /var/lib/pdp
EXPOSE 8180
# It listens on loopback unless PDP_HOST says otherwise: leaving the container is the deployment's decision.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s CMD ["python", "-c", "import os, urllib.request as r; r.urlopen('http://127.0.0.1:' + os.environ.get('PDP_PORT', '8180') + '/livez', timeout=2)"]
ENTRYPOINT ["pdp"]
CMD ["serve"]
