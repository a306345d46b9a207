# SPDX-License-Identifier: Apache-2.0
"""Is an answer of the HTTP API what /api-docs says of it? The part of OpenAPI 3.0 that the description uses."""

TYPES = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "array": list, "object": dict}


class Docs:
    def __init__(self, document):
        self.document = document

    def resolve(self, schema):
        while "$ref" in schema:
            at = self.document
            for part in schema["$ref"].split("/")[1:]:
                at = at[part]
            schema = at
        return schema

    def route(self, method, path):
        """The description of the call whose path matches; the one with more fixed parts wins."""
        parts = path.strip("/").split("/")
        best = None
        for template, methods in self.document["paths"].items():
            pattern = template.strip("/").split("/")
            if len(pattern) != len(parts) or method.lower() not in methods:
                continue
            if all(p.startswith("{") or p == q for p, q in zip(pattern, parts)):
                fixed = sum(not p.startswith("{") for p in pattern)
                if not best or fixed > best[0]:
                    best = fixed, methods[method.lower()]
        if not best:
            raise AssertionError(f"{method} {path} is not described")
        return best[1]

    def check(self, method, path, status, value):
        """None, or what is wrong."""
        responses = self.route(method, path)["responses"]
        if str(status) not in responses:
            return f"status {status} is not described, only {', '.join(responses)}"
        content = responses[str(status)].get("content")
        if not content:
            return None if value is None else "a body that is not described"
        return self.wrong(content["application/json"]["schema"], value, "answer")

    def wrong(self, schema, value, at):
        schema = self.resolve(schema)
        if value is None and schema.get("nullable"):
            return None
        if "oneOf" in schema:
            faults = [self.wrong(one, value, at) for one in schema["oneOf"]]
            return faults[0] if all(faults) else None
        kind = schema.get("type")
        if kind and (not isinstance(value, TYPES[kind]) or (kind in ("integer", "number") and isinstance(value, bool))):
            return f"{at}: {value!r} is no {kind}"
        if "enum" in schema and value not in schema["enum"]:
            return f"{at}: {value!r} is none of {schema['enum']}"
        if kind == "array":
            return next(filter(None, (self.wrong(schema.get("items", {}), v, f"{at}[{i}]") for i, v in enumerate(value))), None)
        if kind == "object":
            return self.object_wrong(schema, value, at)
        return None

    def object_wrong(self, schema, value, at):
        fields, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
        missing = [name for name in schema.get("required", ()) if name not in value]
        if missing:
            return f"{at}: without {missing}"
        for name, v in value.items():
            if name not in fields and rest is False:
                return f"{at}: {name} is not described"
            one = fields.get(name, rest if isinstance(rest, dict) else {})
            if fault := self.wrong(one, v, f"{at}.{name}"):
                return fault
        return None
