//! What the fake was asked.

use std::fmt;

/// What a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Reads the state of AWS.
    Read,
    /// Changes it, or tries to.
    Write,
    /// Acquires or releases a lease, or reads or records a generation.
    Lease,
    /// Answers CloudFormation.
    Callback,
}

/// One call: an operation on a resource.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    pub kind: Kind,
    pub operation: &'static str,
    pub resource: String,
}

impl Call {
    pub fn read(operation: &'static str, resource: impl Into<String>) -> Self {
        Self { kind: Kind::Read, operation, resource: resource.into() }
    }

    pub fn write(operation: &'static str, resource: impl Into<String>) -> Self {
        Self { kind: Kind::Write, operation, resource: resource.into() }
    }

    pub fn lease(operation: &'static str, resource: impl Into<String>) -> Self {
        Self { kind: Kind::Lease, operation, resource: resource.into() }
    }

    pub fn callback() -> Self {
        let resource = "the response URL".to_owned();
        Self { kind: Kind::Callback, operation: "PUT", resource }
    }
}

impl fmt::Display for Call {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} on {}", self.operation, self.resource)
    }
}

/// The calls, one a line.
pub fn lines(calls: &[Call]) -> String {
    calls.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}
