"""All scenarios; importing this registers them."""

import breaking  # noqa: F401
import closing  # noqa: F401
import holding  # noqa: F401
import living  # noqa: F401
import observing  # noqa: F401
import offload  # noqa: F401
import opening  # noqa: F401
import ports  # noqa: F401
import services  # noqa: F401
import strange  # noqa: F401
