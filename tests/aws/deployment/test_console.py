"""Publishing the console's page after a deployment, on moto's S3 and CloudFormation."""

from __future__ import annotations

import json

from infra.console_page import page_files
from local.commands.aws import publish_console
from local.terminal import Terminal
from tests.aws.deployment.conftest import World

OUTPUTS = {
    "ConsoleBucket": "watershed-console",
    "ConsoleUrl": "https://d1.cloudfront.net/",
    "SocketUrl": "wss://s1.execute-api.eu-west-1.amazonaws.com/v1",
    "UserPoolClientId": "client1",
}


def _deployed(world: World) -> None:
    template = {
        "Resources": {
            "Bucket": {
                "Type": "AWS::S3::Bucket",
                "Properties": {"BucketName": OUTPUTS["ConsoleBucket"]},
            }
        },
        "Outputs": {name: {"Value": value} for name, value in OUTPUTS.items()},
    }
    world.client("cloudformation").create_stack(
        StackName=world.settings.prefix, TemplateBody=json.dumps(template)
    )


def test_every_file_of_the_page_and_where_it_asks_are_in_the_bucket(world: World) -> None:
    _deployed(world)
    publish_console(Terminal(as_json=True), world.settings, world.client)
    s3 = world.client("s3")
    objects = {
        each["Key"]: s3.get_object(Bucket="watershed-console", Key=each["Key"])
        for each in s3.list_objects_v2(Bucket="watershed-console")["Contents"]
    }
    assert set(objects) == {*page_files(), "config.json"}
    assert {each["CacheControl"] for each in objects.values()} == {"no-cache"}
    assert objects["console.js"]["ContentType"] == "text/javascript; charset=utf-8"
    assert objects["index.html"]["Body"].read() == page_files()["index.html"].read_bytes()
    assert json.loads(objects["config.json"]["Body"].read()) == {
        "apiUrl": "/api",
        "identityUrl": "https://cognito-idp.eu-west-1.amazonaws.com/",
        "socketUrl": "wss://s1.execute-api.eu-west-1.amazonaws.com/v1",
        "clientId": "client1",
        "dictionaryUrl": "/data-dictionary.md",
    }
