import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef, useState } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import classes from './TimeChart.module.css';

export interface Line {
  label: string;
  /** A CSS variable of the theme. */
  color: string;
  /** One value for each time; null where there is none. */
  values: (number | null)[];
}

interface TimeChartProps {
  /** What is drawn, for those who cannot see it. */
  label: string;
  /** Seconds since the epoch, ascending. */
  times: number[];
  lines: Line[];
  format: (value: number) => string;
}

const HEIGHT = 172;

/** Lines over time, drawn on a canvas so that many points cost little. The legend tells the values under the cursor, else the latest. */
export function TimeChart({ label, times, lines, format }: TimeChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const [pointed, setPointed] = useState<number>();
  const scheme = useComputedColorScheme('light');
  const data = [times, ...lines.map((line) => line.values)] as uPlot.AlignedData;
  const shape = lines.map((line) => line.label + line.color).join();

  // A new plot when what it looks like changes; what it shows follows below.
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const made = new uPlot(options(element, lines, format, setPointed), data, element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- data changes every few seconds, and is set without a new plot
  }, [shape, scheme, format]);

  useEffect(() => plot.current?.setData(data));

  const told = lines.map((line) => ({ ...line, value: valueAt(line, pointed, format) }));
  const time = times[pointed ?? times.length - 1];
  return (
    <figure className={classes['figure']}>
      <figcaption className={classes['legend']}>
        {told.map((line) => (
          <span key={line.label} className={classes['entry']}>
            <span className={classes['swatch']} style={{ background: `var(${line.color})` }} aria-hidden />
            {line.label} <b>{line.value}</b>
          </span>
        ))}
        <span>{time === undefined ? '' : timeOfDay(time)}</span>
      </figcaption>
      <div ref={host} role="img" aria-label={`${label}: ${told.map((line) => `${line.label} ${line.value}`).join(', ')}`} className={classes['plot']} />
    </figure>
  );
}

function valueAt(line: Line, index: number | undefined, format: (value: number) => string): string {
  const value = line.values.at(index ?? -1);
  return value === undefined || value === null ? '–' : format(value);
}

function options(element: HTMLElement, lines: Line[], format: (value: number) => string, onPoint: (index: number | undefined) => void): uPlot.Options {
  const style = getComputedStyle(element);
  const axis = {
    stroke: style.getPropertyValue('--chart-ink').trim(),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: style.getPropertyValue('--hairline').trim(), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [8, 24, 0, 0],
    cursor: { points: { size: 6 }, y: false, drag: { setScale: false } },
    legend: { show: false },
    hooks: { setCursor: [(made) => onPoint(made.cursor.idx ?? undefined)] },
    scales: { y: { range: (_, __, highest) => [0, highest > 0 ? highest * 1.1 : 1] } },
    axes: [
      { ...axis, size: 26, space: 70, values: (_, times) => times.map(timeOfDay) },
      { ...axis, size: 46, values: (_, values) => values.map(format) },
    ],
    series: [
      {},
      ...lines.map((line) => ({ label: line.label, stroke: style.getPropertyValue(line.color).trim(), width: 1.75, points: { show: false } })),
    ],
  };
}

function timeOfDay(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB');
}
