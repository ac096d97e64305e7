//! Accepts connections. Every shard listens on the same addresses (SO_REUSEPORT); the kernel spreads the clients.

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use tokio::net::{TcpListener, TcpStream};

use super::Buffers;
use super::connection::Connection;
use crate::clock;
use crate::config::Config;
use crate::shard::Shard;
use crate::shard::client::Client;

/// Pause after an accept that failed for want of descriptors or memory.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a client from elsewhere is told where there is no password.
const DENIED: &[u8] = b"-DENIED The server is in protected mode: it has no password, so it serves only clients on its own \
    machine. Set a password with 'requirepass', or 'protected-mode no' if the network itself keeps strangers out.\r\n";

/// Opens one listening socket that shares its address with those of the other shards.
///
/// # Errors
/// The address is taken by another program, or not this machine's.
pub fn bind(address: SocketAddr, backlog: u32) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

/// Is another program listening there? SO_REUSEPORT would let two servers of one user share a port without a word.
pub fn is_taken(address: SocketAddr) -> io::Result<bool> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    match socket.bind(&address.into()) {
        Ok(()) => Ok(false),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(true),
        Err(error) => Err(error),
    }
}

/// Accepts for ever; each connection becomes a task of this shard.
pub async fn accept(listener: TcpListener, shard: Rc<Shard>, buffers: Rc<Buffers>) {
    loop {
        match listener.accept().await {
            Ok((stream, address)) => admit(stream, address, &shard, &buffers),
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn admit(stream: TcpStream, address: SocketAddr, shard: &Rc<Shard>, buffers: &Rc<Buffers>) {
    let counters = &shard.shared.counters;
    counters.accepted.fetch_add(1, Ordering::Relaxed);
    let config = shard.config.borrow().clone();
    if counters.connected.load(Ordering::Relaxed) >= config.maxclients as usize {
        counters.rejected.fetch_add(1, Ordering::Relaxed);
        // A fresh socket takes these few bytes at once; if the client has gone already, so be it.
        let _ = stream.try_write(b"-ERR max number of clients reached\r\n");
        return;
    }
    if is_stranger(&config, address) {
        counters.rejected.fetch_add(1, Ordering::Relaxed);
        let _ = stream.try_write(DENIED); // as above
        return;
    }
    if let Err(error) = prepare(&stream, config.tcp_keepalive_seconds) {
        tracing::debug!(%error, %address, "a connection ended before it began");
        return;
    }
    let local = stream.local_addr().unwrap_or(address);
    let id = counters.next_client_id.fetch_add(1, Ordering::Relaxed) + 1;
    let client = Client::new(id, address, local, clock::unix_ms());
    client.authenticated.set(config.requirepass.is_empty());
    client.descriptor.set(stream.as_raw_fd());
    counters.connected.fetch_add(1, Ordering::Relaxed);
    let slot = shard.clients.borrow_mut().insert(Rc::clone(&client));
    let (shard, buffers) = (Rc::clone(shard), Rc::clone(buffers));
    tokio::task::spawn_local(async move {
        Connection::new(stream, Rc::clone(&shard), client, slot, buffers).serve().await;
        shard.clients.borrow_mut().remove(slot);
        shard.shared.counters.connected.fetch_sub(1, Ordering::Relaxed);
    });
}

/// Whether the protected mode turns this client away: it is on another machine, and there is no password to ask it for.
fn is_stranger(config: &Config, address: SocketAddr) -> bool {
    config.protected_mode && config.requirepass.is_empty() && !address.ip().to_canonical().is_loopback()
}

fn prepare(stream: &TcpStream, keepalive_seconds: u32) -> io::Result<()> {
    stream.set_nodelay(true)?;
    if keepalive_seconds > 0 {
        let interval = Duration::from_secs(u64::from(keepalive_seconds));
        let keepalive = TcpKeepalive::new()
            .with_time(interval)
            .with_interval((interval / 3).max(Duration::from_secs(1)))
            .with_retries(3);
        SockRef::from(stream).set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_elsewhere_are_strangers_without_a_password() {
        let mut config = Config::default();
        let is_stranger = |config: &Config, address: &str| is_stranger(config, address.parse().unwrap());
        for address in ["127.0.0.1:1", "127.8.8.8:1", "[::1]:1", "[::ffff:127.0.0.1]:1"] {
            assert!(!is_stranger(&config, address), "{address}");
        }
        let elsewhere = ["10.0.0.1:1", "[::ffff:10.0.0.1]:1", "[fe80::1]:1"];
        assert!(elsewhere.iter().all(|address| is_stranger(&config, address)));
        config.set(&[("protected-mode", "no")]).unwrap();
        assert!(!elsewhere.iter().any(|address| is_stranger(&config, address)));
        config.set(&[("protected-mode", "yes"), ("requirepass", "secret")]).unwrap();
        assert!(!elsewhere.iter().any(|address| is_stranger(&config, address)));
        assert!(DENIED.ends_with(b"\r\n") && !DENIED[..DENIED.len() - 2].contains(&b'\n'));
    }
}
