/* container_end.h - whether a file ends where its container says that it ends. */
#ifndef OCC_INGEST_MEDIA_CONTAINER_END_H
#define OCC_INGEST_MEDIA_CONTAINER_END_H

/* END_WHOLE: the container says where it ends, and the file reaches that far. END_CUT: something
 * reaches beyond the end of the file. END_UNKNOWN: neither is certain, so the times of the packets
 * must decide. */
enum container_end { END_UNKNOWN, END_WHOLE, END_CUT };

/* Looks at the file open as `fd`, whose position stays as it is; `format` is the name of
 * libavformat's demuxer. It looks at the size of Matroska's segment (RFC 9559), the boxes of MP4
 * (ISO/IEC 14496-12), the chunks of RIFF, the packets of a transport stream (ISO/IEC 13818-1), the
 * last tag of FLV and the last page of Ogg (RFC 3533). */
enum container_end container_end_of(int fd, const char *format);

#endif
