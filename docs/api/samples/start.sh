# Before the samples in curl, which run in bash with jq. `token_of_the_mail` comes from the mail.
base_url=${BASE_URL:-http://127.0.0.1:8080}
email=${EMAIL:-ann@patients.example}
password='violet otter hums at dawn'
from=$(date -u -d '+7 days' +%FT%TZ)
