"""Every plan in the repository is held to the schema that `whimbrel schema` prints."""
import json
import subprocess

import jsonschema
import yaml

from whimbrel import BINARY, EXAMPLES, World, main


def schema():
    printed = subprocess.run([BINARY, "schema"], capture_output=True, text=True, check=True).stdout
    document = json.loads(printed)
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def every_example_fits_the_schema():
    plans = list(EXAMPLES.glob("*/migration.yaml"))
    assert plans
    for plan in plans:
        schema().validate(yaml.safe_load(plan.read_text()))


def the_scenarios_plan_fits_and_a_wrong_one_does_not():
    world = World(rows=1)
    plan = yaml.safe_load(world.plan.read_text())
    schema().validate(plan)
    plan["tabels"] = []
    assert not schema().is_valid(plan)
    world.close()


if __name__ == "__main__":
    main(every_example_fits_the_schema, the_scenarios_plan_fits_and_a_wrong_one_does_not)
