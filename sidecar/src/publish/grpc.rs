//! Dapr's gRPC API, as far as publishing goes: `dapr.proto.runtime.v1.Dapr/PublishEvent`, and for all else the status
//! `UNIMPLEMENTED`. There is one method, so its message and service are written by hand rather than generated.

use std::collections::HashMap;
use std::convert::Infallible;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, UnaryService};
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::{MAX_BYTES, PublishError, Publishing, Request, in_trace};

/// `dapr.proto.runtime.v1.PublishEventRequest`
/// (<https://github.com/dapr/dapr/blob/master/dapr/proto/runtime/v1/pubsub.proto>).
#[derive(Clone, PartialEq, prost::Message)]
struct PublishEventRequest {
    #[prost(string, tag = "1")]
    pubsub_name: String,
    #[prost(string, tag = "2")]
    topic: String,
    #[prost(bytes = "bytes", tag = "3")]
    data: bytes::Bytes,
    #[prost(string, tag = "4")]
    data_content_type: String,
    #[prost(map = "string, string", tag = "5")]
    metadata: HashMap<String, String>,
}

/// Serves until `over`.
pub(crate) async fn serve(listener: TcpListener, publishing: Publishing, mut over: watch::Receiver<bool>) {
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let served = Server::builder()
        .add_service(Dapr { publishing })
        .serve_with_incoming_shutdown(incoming, async move {
            // Gone is over too.
            let _ = over.wait_for(|over| *over).await;
        });
    if let Err(error) = served.await {
        tracing::error!(%error, "the gRPC server for publishing ended");
    }
}

#[derive(Clone)]
struct Dapr {
    publishing: Publishing,
}

impl NamedService for Dapr {
    const NAME: &'static str = "dapr.proto.runtime.v1.Dapr";
}

impl Service<http::Request<Body>> for Dapr {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let publishing = self.publishing.clone();
        Box::pin(async move {
            if request.uri().path() != "/dapr.proto.runtime.v1.Dapr/PublishEvent" {
                let why = "this sidecar has Dapr's publish API only: PublishEvent";
                return Ok(Status::unimplemented(why).into_http());
            }
            let codec: ProstCodec<(), PublishEventRequest> = ProstCodec::default();
            let mut grpc = Grpc::new(codec).max_decoding_message_size(MAX_BYTES);
            Ok(grpc.unary(PublishEvent { publishing }, request).await)
        })
    }
}

struct PublishEvent {
    publishing: Publishing,
}

impl UnaryService<PublishEventRequest> for PublishEvent {
    type Response = ();
    type Future = BoxFuture<'static, Result<tonic::Response<()>, Status>>;

    fn call(&mut self, request: tonic::Request<PublishEventRequest>) -> Self::Future {
        let publishing = self.publishing.clone();
        let (headers, _, body) = request.into_parts();
        let PublishEventRequest {
            pubsub_name,
            topic,
            data,
            data_content_type,
            mut metadata,
        } = body;
        in_trace(&mut metadata, |name| headers.get(name)?.to_str().ok());
        Box::pin(async move {
            let request = Request {
                pubsub: pubsub_name,
                topic,
                content_type: data_content_type,
                metadata,
                data,
            };
            match publishing.publish(request).await {
                Ok(()) => Ok(tonic::Response::new(())),
                Err(error) => Err(Status::new(code(&error), format!("{}: {error}", error.code()))),
            }
        })
    }
}

fn code(error: &PublishError) -> Code {
    match error {
        PublishError::Forbidden { .. } => Code::PermissionDenied,
        PublishError::Broker { .. } => Code::Unavailable,
        PublishError::NoPubsub
        | PublishError::NoTopic(_)
        | PublishError::RawPayload(_)
        | PublishError::NotACloudEvent(_) => Code::InvalidArgument,
    }
}
