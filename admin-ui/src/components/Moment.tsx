import { ago, full } from '@/format/time';
import { useNow } from './useNow';

/** How long ago something was, kept up to date; the exact time on hover. */
export function Moment({ time }: { time: string | undefined }) {
  const now = useNow();
  if (time === undefined) return <>–</>;
  return (
    <time dateTime={time} title={full(time)} style={{ whiteSpace: 'nowrap' }}>
      {ago(time, now)}
    </time>
  );
}
