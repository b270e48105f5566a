"""stillsift keeps the frames worth keeping, and records why every other one was let go."""

import os

# onnxruntime has a telemetry of its own: it looks a collector up within seconds, and writes a
# device id and a queue of events below HOME. It reads this when it is imported, so it has to be
# set before; `disable_telemetry_events()` comes too late (measured). By force: a variable that was
# emptied for another program must not switch it on.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
