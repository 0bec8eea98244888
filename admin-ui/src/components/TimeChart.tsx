import { useComputedColorScheme } from '@mantine/core';
import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import classes from './TimeChart.module.css';

export interface Line {
  label: string;
  /** A CSS variable of the theme. */
  color: string;
  /** One value for each time; null where there is none. */
  values: (number | null)[];
  dashed?: boolean;
}

interface TimeChartProps {
  /** What is drawn, for those who cannot see it. */
  label: string;
  /** Seconds since the epoch, ascending. */
  times: number[];
  lines: Line[];
  format: (value: number) => string;
}

const HEIGHT = 168;

/** Lines over time, drawn on a canvas so that hundreds of points a second cost nothing. */
export function TimeChart({ label, times, lines, format }: TimeChartProps) {
  const host = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot>(null);
  const scheme = useComputedColorScheme('light');
  const data = [times, ...lines.map((line) => line.values)] as uPlot.AlignedData;
  const shape = lines.map((line) => `${line.label}|${line.color}|${line.dashed === true}`).join();

  // A new plot when what it looks like changes; what it shows follows below.
  useEffect(() => {
    const element = host.current;
    if (!element) return;
    const made = new uPlot(options(element, lines, format), data, element);
    plot.current = made;
    const observer = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height: HEIGHT }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      made.destroy();
      plot.current = null;
    };
    // eslint-disable-next-line react-hooks/exhaustive-deps -- data changes every second, and is set without a new plot
  }, [shape, scheme, format]);

  useEffect(() => plot.current?.setData(data));

  return <div ref={host} role="img" aria-label={`${label}: ${summary(lines, format)}`} className={classes['chart']} />;
}

function summary(lines: Line[], format: (value: number) => string): string {
  const latest = lines.map((line) => {
    const value = line.values.findLast((each): each is number => each !== null);
    return `${line.label} ${value === undefined ? 'none' : format(value)}`;
  });
  return latest.join(', ');
}

function options(element: HTMLElement, lines: Line[], format: (value: number) => string): uPlot.Options {
  const style = getComputedStyle(element);
  const ink = style.getPropertyValue('--chart-ink').trim();
  const grid = style.getPropertyValue('--hairline').trim();
  const axis = { stroke: ink, font: `11px ${style.fontFamily}`, grid: { stroke: grid, width: 1 }, ticks: { show: false } };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    padding: [8, 4, 0, 0],
    cursor: { points: { size: 6 }, y: false, drag: { setScale: false } },
    legend: { live: true },
    scales: { y: { range: (_, __, highest) => [0, highest > 0 ? highest * 1.1 : 1] } },
    axes: [
      { ...axis, size: 26, values: (_, times) => times.map(timeOfDay) },
      { ...axis, size: 52, values: (_, values) => values.map(format) },
    ],
    series: [
      { label: 'at', value: (_, time: number | null) => (time === null ? '–' : timeOfDay(time)) },
      ...lines.map((line) => ({
        label: line.label,
        stroke: style.getPropertyValue(line.color).trim(),
        width: 1.75,
        dash: line.dashed === true ? [5, 4] : [],
        points: { show: false },
        value: (_: uPlot, value: number | null) => (value === null ? '–' : format(value)),
      })),
    ],
  };
}

function timeOfDay(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString('en-GB');
}
