"""The console's page on AWS: a private bucket, and CloudFront before it and before the REST API, so that the page
asks its own server alone and the API needs no CORS.

The files go into the bucket after the stack is deployed (`local/console/publish.py`): what the page is told of the
stack is known only then.
"""

from __future__ import annotations

from aws_cdk import Duration, Fn
from aws_cdk import aws_certificatemanager as acm
from aws_cdk import aws_cloudfront as cloudfront
from aws_cdk import aws_cloudfront_origins as origins
from aws_cdk import aws_s3 as s3
from constructs import Construct

from infra.api.description import STAGE
from infra.console_page import API_PATH, INDEX, content_security_policy
from infra.control import ControlPlane
from infra.names import camel
from infra.policies import accept
from infra.settings import Settings
from infra.storage import Storage, removal

_YEAR = Duration.days(365)

_WITHOUT_API_PATH = f"""function handler(event) {{
  var request = event.request;
  request.uri = request.uri.substring({len(API_PATH)}) || '/';
  return request;
}}
"""
"""A CloudFront Function: what the page asks of `/api/exports` is the API's `/exports`."""

_NOT_REPLICATED = (
    "HIPAA.Security::HIPAA.Security-S3BucketReplicationEnabled",
    "The page is made anew from the repository by the next deployment; its logs tell of the page alone.",
)
_OWN_KEY = (
    "HIPAA.Security::HIPAA.Security-S3DefaultEncryptionKMS",
    "The page is public and holds no data; S3's own key encrypts it, so that CloudFront needs none of the lake's.",
)


class ConsoleSite(Construct):
    """The bucket, the distribution, and what they log."""

    def __init__(
        self, scope: Construct, id_: str, settings: Settings, storage: Storage, control: ControlPlane
    ) -> None:
        super().__init__(scope, id_)
        self._settings = settings
        self._storage = storage
        self._control = control
        self.bucket = self._bucket("console", s3.ObjectOwnership.BUCKET_OWNER_ENFORCED)
        logs = self._bucket("console-logs", s3.ObjectOwnership.BUCKET_OWNER_PREFERRED)
        headers = self._headers()
        certificate = settings.console_certificate_arn
        self.distribution = cloudfront.Distribution(
            self,
            "Distribution",
            comment=f"The console of {settings.prefix}",
            default_root_object=INDEX,
            default_behavior=cloudfront.BehaviorOptions(
                origin=origins.S3BucketOrigin.with_origin_access_control(self.bucket),
                viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.REDIRECT_TO_HTTPS,
                response_headers_policy=headers,
            ),
            additional_behaviors={f"{API_PATH}/*": self._api(headers)},
            domain_names=[settings.console_domain_name] if certificate else None,
            certificate=acm.Certificate.from_certificate_arn(self, "Certificate", certificate)
            if certificate
            else None,
            minimum_protocol_version=cloudfront.SecurityPolicyProtocol.TLS_V1_2_2021,
            http_version=cloudfront.HttpVersion.HTTP2_AND_3,
            web_acl_id=settings.console_web_acl_arn or None,
            log_bucket=logs,
            log_file_prefix="console/",
        )
        self._accepted()

    @property
    def url(self) -> str:
        """Where people go."""
        return f"https://{self._settings.console_domain_name or self.distribution.distribution_domain_name}/"

    @property
    def outputs(self) -> dict[str, str]:
        return {"ConsoleUrl": self.url, "ConsoleBucket": self.bucket.bucket_name}

    def _bucket(self, purpose: str, ownership: s3.ObjectOwnership) -> s3.Bucket:
        bucket = s3.Bucket(
            self,
            camel(purpose),
            bucket_name=self._settings.bucket(purpose),
            encryption=s3.BucketEncryption.S3_MANAGED,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=ownership,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            server_access_logs_bucket=self._storage.logs,
            server_access_logs_prefix=f"{purpose}/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="housekeeping",
                    abort_incomplete_multipart_upload_after=Duration.days(3),
                    noncurrent_version_expiration=Duration.days(30),
                ),
                *([s3.LifecycleRule(id="logs", expiration=_YEAR)] if purpose.endswith("logs") else []),
            ],
            removal_policy=removal(self._settings),
        )
        accept(bucket, *_NOT_REPLICATED)
        accept(bucket, *_OWN_KEY)
        return bucket

    def _api(self, headers: cloudfront.IResponseHeadersPolicy) -> cloudfront.BehaviorOptions:
        settings = self._settings
        if settings.api_domain_name:
            origin = origins.HttpOrigin(settings.api_domain_name, origin_path=f"/{settings.api_base_path}")
        else:
            api = self._control.api.api.ref
            origin = origins.HttpOrigin(
                f"{api}.execute-api.{settings.region}.amazonaws.com", origin_path=f"/{STAGE}"
            )
        strip = cloudfront.Function(
            self,
            "WithoutApiPath",
            function_name=settings.name("without-api-path"),
            code=cloudfront.FunctionCode.from_inline(_WITHOUT_API_PATH),
            runtime=cloudfront.FunctionRuntime.JS_2_0,
        )
        return cloudfront.BehaviorOptions(
            origin=origin,
            allowed_methods=cloudfront.AllowedMethods.ALLOW_ALL,
            # Answers tell the state of things as it is now, to whom the token belongs.
            cache_policy=cloudfront.CachePolicy.CACHING_DISABLED,
            # With `Authorization`, and without the page's `Host`, which the API would not know.
            origin_request_policy=cloudfront.OriginRequestPolicy.ALL_VIEWER_EXCEPT_HOST_HEADER,
            viewer_protocol_policy=cloudfront.ViewerProtocolPolicy.HTTPS_ONLY,
            response_headers_policy=headers,
            function_associations=[
                cloudfront.FunctionAssociation(
                    function=strip, event_type=cloudfront.FunctionEventType.VIEWER_REQUEST
                )
            ],
        )

    def _headers(self) -> cloudfront.ResponseHeadersPolicy:
        """The same as the laptop's server sends, and that the name is asked over TLS alone."""
        region = self._settings.region
        socket = Fn.select(0, Fn.split("/", Fn.select(1, Fn.split("//", self._control.sockets.url))))
        policy = content_security_policy(
            (f"https://cognito-idp.{region}.amazonaws.com", Fn.join("", ["wss://", socket]))
        )
        behavior = cloudfront.ResponseSecurityHeadersBehavior(
            content_security_policy=cloudfront.ResponseHeadersContentSecurityPolicy(
                content_security_policy=policy, override=True
            ),
            content_type_options=cloudfront.ResponseHeadersContentTypeOptions(override=True),
            frame_options=cloudfront.ResponseHeadersFrameOptions(
                frame_option=cloudfront.HeadersFrameOption.DENY, override=True
            ),
            referrer_policy=cloudfront.ResponseHeadersReferrerPolicy(
                referrer_policy=cloudfront.HeadersReferrerPolicy.NO_REFERRER, override=True
            ),
            strict_transport_security=cloudfront.ResponseHeadersStrictTransportSecurity(
                access_control_max_age=_YEAR, include_subdomains=False, override=True
            ),
        )
        custom = [
            cloudfront.ResponseCustomHeader(header=name, value="same-origin", override=True)
            for name in ("Cross-Origin-Opener-Policy", "Cross-Origin-Resource-Policy")
        ]
        return cloudfront.ResponseHeadersPolicy(
            self,
            "Headers",
            response_headers_policy_name=self._settings.name("console"),
            security_headers_behavior=behavior,
            custom_headers_behavior=cloudfront.ResponseCustomHeadersBehavior(custom_headers=custom),
        )

    def _accepted(self) -> None:
        accept(
            self.distribution,
            "AwsSolutions-CFR1",
            "Analysts travel: who may sign in is for the user pool to say, not where from. A web ACL can.",
        )
        if not self._settings.console_web_acl_arn:
            accept(
                self.distribution,
                "AwsSolutions-CFR2",
                "The setting console_web_acl_arn puts an account's own web ACL before the page and the API.",
            )
        if not self._settings.console_certificate_arn:
            accept(
                self.distribution,
                "AwsSolutions-CFR4",
                "CloudFront's own name takes older TLS and lets nobody choose: console_domain_name is for that.",
            )
