# Before the samples in Python 3. `token_of_the_mail` comes from the mail.
import json
import os
from datetime import datetime, timedelta, timezone
from urllib.parse import urlencode
from urllib.request import Request, urlopen

base_url = os.environ.get("BASE_URL", "http://127.0.0.1:8080")
email = os.environ.get("EMAIL", "ann@patients.example")
password = "violet otter hums at dawn"
from_time = (datetime.now(timezone.utc) + timedelta(days=7)).isoformat()
