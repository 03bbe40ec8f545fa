//! Streams of bytes: handles for guests, native speed for the bytes.

use bytes::Bytes;
use wasmtime::component::Resource;

use crate::bindings::lifeboat::plugin::bytes::{Host, HostReader, HostWriter, Pumped};
use crate::bindings::lifeboat::plugin::types::ErrorKind;
use crate::bounds::READ_BYTES_MAX;
use crate::fault::{Fault, from_io, guest_error};
use crate::guest::{Guest, blocking};
use crate::stream::{FileSink, Reader, Source, Writer, pump};

impl Guest {
    /// Takes the source out of its handle, for a thread to work on.
    pub(crate) fn take_source(&mut self, reader: &Resource<Reader>) -> Result<Source, Fault> {
        let taken = self.table.get_mut(reader)?.0.take();
        taken.ok_or_else(|| guest_error(ErrorKind::Permanent, "the reader broke in an earlier call").into())
    }

    fn take_sink(&mut self, writer: &Resource<Writer>) -> Result<FileSink, Fault> {
        let taken = self.table.get_mut(writer)?.0.take();
        taken.ok_or_else(|| guest_error(ErrorKind::Permanent, "the writer broke in an earlier call").into())
    }
}

impl Host for Guest {
    async fn pump(&mut self, source: Resource<Reader>, sink: Resource<Writer>) -> Result<Pumped, Fault> {
        self.context.need("bytes")?;
        let mut from = self.take_source(&source)?;
        let mut to = self.take_sink(&sink)?;
        let voice = self.voice.clone();
        // An error leaves both handles empty: what was written is not whole, and its temporary file is gone.
        let (from, to, pumped) = blocking(move || {
            let pumped = pump(&mut from, Some(&mut to), &*voice)?;
            Ok((from, to, pumped))
        })
        .await?;
        self.table.get_mut(&source)?.0 = Some(from);
        self.table.get_mut(&sink)?.0 = Some(to);
        Ok(pumped)
    }

    async fn digest(&mut self, source: Resource<Reader>) -> Result<Pumped, Fault> {
        self.context.need("bytes")?;
        let mut from = self.take_source(&source)?;
        let voice = self.voice.clone();
        let (from, pumped) = blocking(move || {
            let pumped = pump(&mut from, None, &*voice)?;
            Ok((from, pumped))
        })
        .await?;
        self.table.get_mut(&source)?.0 = Some(from);
        Ok(pumped)
    }

    async fn from_list(&mut self, data: Vec<u8>) -> wasmtime::Result<Resource<Reader>> {
        Ok(self.table.push(Reader(Some(Source::Memory(Bytes::from(data)))))?)
    }
}

impl HostReader for Guest {
    async fn read(&mut self, reader: Resource<Reader>, max: u32) -> Result<Vec<u8>, Fault> {
        let want = usize::try_from(max).unwrap_or(usize::MAX).min(READ_BYTES_MAX);
        let mut from = self.take_source(&reader)?;
        let (from, data) = blocking(move || {
            let want = usize::try_from(from.left()).unwrap_or(usize::MAX).min(want);
            let mut data = vec![0; want];
            let count = from.read(&mut data).map_err(|error| from_io("read", &from.name(), &error))?;
            data.truncate(count);
            Ok((from, data))
        })
        .await?;
        self.table.get_mut(&reader)?.0 = Some(from);
        Ok(data)
    }

    async fn left(&mut self, reader: Resource<Reader>) -> wasmtime::Result<Option<u64>> {
        Ok(self.table.get(&reader)?.0.as_ref().and_then(Source::known))
    }

    async fn drop(&mut self, reader: Resource<Reader>) -> wasmtime::Result<()> {
        self.table.delete(reader)?;
        Ok(())
    }
}

impl HostWriter for Guest {
    async fn write(&mut self, writer: Resource<Writer>, data: Vec<u8>) -> Result<(), Fault> {
        let mut to = self.take_sink(&writer)?;
        let to = blocking(move || to.write(&data).map(|()| to)).await?;
        self.table.get_mut(&writer)?.0 = Some(to);
        Ok(())
    }

    async fn commit(&mut self, writer: Resource<Writer>) -> Result<Pumped, Fault> {
        let mut to = self.take_sink(&writer)?;
        let (to, pumped) = blocking(move || to.commit().map(|pumped| (to, pumped))).await?;
        self.table.get_mut(&writer)?.0 = Some(to);
        Ok(pumped)
    }

    async fn drop(&mut self, writer: Resource<Writer>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}
