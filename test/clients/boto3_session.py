"""A session of boto3 against the endpoint and bucket given; every step asserts, the last line says done."""

import hashlib
import io
import sys
import urllib.request

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

endpoint, bucket = sys.argv[1:]
client = boto3.client("s3", endpoint_url=endpoint, config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}))


def code_of(call, **arguments):
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    return None


client.create_bucket(Bucket=bucket)
assert code_of(client.create_bucket, Bucket=bucket) == "BucketAlreadyOwnedByYou"
assert code_of(client.get_bucket_policy, Bucket=bucket) == "NoSuchBucketPolicy"
assert code_of(client.get_bucket_lifecycle_configuration, Bucket=bucket) == "NoSuchLifecycleConfiguration"
assert code_of(client.get_object, Bucket=bucket, Key="absent") == "NoSuchKey"

big = bytes(range(256)) * (20 * 4096) + b"end"
config = TransferConfig(multipart_threshold=8 * 2**20, multipart_chunksize=8 * 2**20, max_concurrency=4)
client.upload_fileobj(io.BytesIO(big), bucket, "big", Config=config, ExtraArgs={"Metadata": {"origin": "test"}})
back = io.BytesIO()
client.download_fileobj(bucket, "big", back, Config=config)
assert hashlib.sha256(back.getvalue()).digest() == hashlib.sha256(big).digest()
assert client.head_object(Bucket=bucket, Key="big")["Metadata"] == {"origin": "test"}
client.copy({"Bucket": bucket, "Key": "big"}, bucket, "copy of big", Config=config)
assert client.head_object(Bucket=bucket, Key="copy of big")["ContentLength"] == len(big)

keys = [f"k/{index:03}" for index in range(30)] + ["k/sp ace", "k/plus+", "k/\u00fc", "k/<&>"]
for key in keys:
    client.put_object(Bucket=bucket, Key=key, Body=key.encode())
for operation in ("list_objects", "list_objects_v2"):
    pages = client.get_paginator(operation).paginate(Bucket=bucket, Prefix="k/", PaginationConfig={"PageSize": 7})
    listed = [row["Key"] for page in pages for row in page.get("Contents", [])]
    assert listed == sorted(keys, key=str.encode), (operation, listed)

for version in (None, "s3v4"):
    signer = boto3.client("s3", endpoint_url=endpoint, config=Config(signature_version=version, s3={"addressing_style": "path"}))
    url = signer.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k/sp ace"})
    assert urllib.request.urlopen(url).read() == b"k/sp ace", url

client.put_bucket_tagging(Bucket=bucket, Tagging={"TagSet": [{"Key": "team", "Value": "blue"}]})
assert client.get_bucket_tagging(Bucket=bucket)["TagSet"] == [{"Key": "team", "Value": "blue"}]
client.put_object_tagging(Bucket=bucket, Key="big", Tagging={"TagSet": [{"Key": "a", "Value": "1"}]})
assert client.get_object_tagging(Bucket=bucket, Key="big")["TagSet"] == [{"Key": "a", "Value": "1"}]

everything = [{"Key": key} for key in [*keys, "big", "copy of big"]]
assert len(client.delete_objects(Bucket=bucket, Delete={"Objects": everything})["Deleted"]) == len(everything)
client.delete_bucket(Bucket=bucket)
print("done with boto3", boto3.__version__)
