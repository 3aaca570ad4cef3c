"""URLs of databases."""

from sqlalchemy.engine import URL, make_url


def libpq_url(url: str | URL) -> str:
    """The URL as libpq and its programs read it: without the name of SQLAlchemy's driver, and with its password."""
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)
