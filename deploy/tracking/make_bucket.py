"""Make the bucket that MLFLOW_ARTIFACTS_DESTINATION names, where there is none yet."""

import os
from urllib.parse import urlparse

import boto3
from botocore.exceptions import ClientError


def make_bucket(endpoint: str, name: str) -> None:
    """Make a bucket unless it is there; its name may be used once in a store.

    Raises:
        ClientError: the store refuses, or somebody else has a bucket of this name.
    """
    store = boto3.client("s3", endpoint_url=endpoint)
    try:
        store.head_bucket(Bucket=name)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
            raise
        store.create_bucket(Bucket=name)


if __name__ == "__main__":
    make_bucket(
        os.environ["MLFLOW_S3_ENDPOINT_URL"], urlparse(os.environ["MLFLOW_ARTIFACTS_DESTINATION"]).netloc
    )
