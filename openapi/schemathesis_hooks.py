"""Makes the stateful phase of schemathesis get from each response to the next request. Random filters, ids and bodies hardly ever succeed, and
the requests that break rules are those of the other phases. So a list is asked for without filters, and a body is the example of the document
with ids that responses have shown."""

import copy
import itertools
from collections import defaultdict, deque

import schemathesis
from schemathesis.generation.meta import TestPhase

# The ids that responses have shown lately, by the collection in the path, such as "patients".
shown = defaultdict(lambda: deque(maxlen=50))
keys = itertools.count()


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code >= 300 or "application/json" not in response.headers.get("content-type", [""]):
        return
    body = response.json()
    collection = case.path.removesuffix("/{id}").rsplit("/", 1)[-1]
    for item in body.get("items", [body]):
        if "id" in item and item["id"] not in shown[collection]:
            shown[collection].append(item["id"])


def shown_id(member):
    """An id for a member such as `patient_id`, each time another one."""
    ids = shown.get(member.removesuffix("_id").replace("_", "-") + "s")
    if not ids:
        return None
    ids.rotate(1)
    return ids[0]


def with_shown_ids(value):
    if isinstance(value, list):
        return [with_shown_ids(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: name.endswith("_id") and shown_id(name) or with_shown_ids(member) for name, member in value.items()}


def example_of(operation):
    for body in operation.body:
        if "example" in body.definition:
            return body.definition["example"]
        for example in body.definition.get("examples", {}).values():
            return example["value"]
    return None


@schemathesis.hook
def map_case(context, case):
    if case.meta is None or case.meta.phase.name != TestPhase.STATEFUL:
        return case
    required = {parameter.name for parameter in case.operation.query if parameter.is_required}
    case.query = {name: value for name, value in (case.query or {}).items() if name in required}
    # With the key of an earlier request, the response would show what may be gone by now.
    if "Idempotency-Key" in (case.headers or {}):
        case.headers["Idempotency-Key"] = f"stateful-{next(keys)}"
    example = example_of(case.operation)
    if example is not None:
        case.body = with_shown_ids(copy.deepcopy(example))
    return case
