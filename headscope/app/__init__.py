"""The web page and its HTTP API."""

from headscope.app.server import create_app

__all__ = ["create_app"]
