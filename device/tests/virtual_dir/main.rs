//! The folder the phone thinks it writes to, over a repository in memory and scripted bytes.
mod answers;
mod conversation;
mod scripted;
